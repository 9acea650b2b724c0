"""Everything on one machine: `pricebook dev`, its demo and its seed."""
