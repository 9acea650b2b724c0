"""The common parts of all pages: the frame, the person who looks at them, and times as that person reads them."""
