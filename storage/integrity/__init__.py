"""What `pricebook check` proves."""
