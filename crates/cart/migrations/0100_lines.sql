CREATE TABLE cart_lines (
  cart BINARY(16) NOT NULL,
  sku VARCHAR(64) NOT NULL,
  quantity BIGINT NOT NULL,
  filling BINARY(16) NOT NULL,
  added_at BIGINT NOT NULL,
  PRIMARY KEY (cart, sku)
);
CREATE TABLE cart_carts (
  cart BINARY(16) NOT NULL PRIMARY KEY,
  line_count BIGINT NOT NULL
);
