"""The six narratives of a shopper, written from the causes of their purchases."""
