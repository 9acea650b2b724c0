"""`pricebook import`: a file of prices is sent as a batch."""
