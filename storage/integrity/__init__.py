"""The integrity check: the proofs and findings of `pricebook check`."""
