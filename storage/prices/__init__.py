"""Prices: the record, decoding and validation of rows, sku ranges, selections, quotes and currencies."""
