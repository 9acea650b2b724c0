"""The price: its record, the decoding and validation of rows, sku ranges, selections, quotes and currencies."""
