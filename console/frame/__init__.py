"""What all pages share: the frame around them, the person who looks at them, and times as that person reads them."""
