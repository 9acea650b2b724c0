"""`pricebook export`: a version is written to a file."""
