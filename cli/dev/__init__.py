"""`pricebook dev`: MongoDB, server and demo on one machine."""
