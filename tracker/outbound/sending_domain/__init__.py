"""What receivers see of a sending domain: SPF, DKIM, DMARC."""
