"""The edge: checks a signature, writes down what it saw, and answers. It knows nothing about the product."""
