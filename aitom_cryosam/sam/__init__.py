"""SAM as its publisher defines it, computed faster: network, image encoder, mask decoder."""
