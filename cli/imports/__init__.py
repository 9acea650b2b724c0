"""`pricebook import`: a file of prices sent as a batch."""
