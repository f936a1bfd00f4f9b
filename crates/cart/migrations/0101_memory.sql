ALTER TABLE cart_lines ADD COLUMN unit_price BIGINT NULL;
ALTER TABLE cart_lines ADD COLUMN currency VARCHAR(3) NULL;
ALTER TABLE cart_lines ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cart_carts ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cart_carts ADD COLUMN guest BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cart_carts ADD COLUMN merged_into BINARY(16) NULL;
ALTER TABLE cart_carts ADD COLUMN erased BIGINT NOT NULL DEFAULT 0;
CREATE INDEX cart_carts_expiry ON cart_carts (guest, changed_at, cart);
CREATE TABLE cart_notices (
  cart BINARY(16) NOT NULL,
  message BINARY(16) NOT NULL,
  sku VARCHAR(64) NOT NULL,
  outcome VARCHAR(16) NOT NULL,
  quantity BIGINT NOT NULL,
  added BIGINT NOT NULL,
  noticed_at BIGINT NOT NULL,
  PRIMARY KEY (cart, message, sku)
);
UPDATE cart_lines SET changed_at = added_at;
UPDATE cart_carts SET changed_at =
  COALESCE((SELECT MAX(l.changed_at) FROM cart_lines l WHERE l.cart = cart_carts.cart), 0);
