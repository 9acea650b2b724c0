"""`pricebook export`: a version written to a file."""
