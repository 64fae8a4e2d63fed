"""Customers, orders and managers, and how letters find them."""
