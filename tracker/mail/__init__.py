"""What is true of mail everywhere: addresses, MIME, connections to servers, providers."""
