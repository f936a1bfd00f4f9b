ALTER TABLE catalogue_products ADD COLUMN category_id BINARY(16);
ALTER TABLE catalogue_products ADD COLUMN brand_id BINARY(16);
ALTER TABLE catalogue_products ADD COLUMN attributes MEDIUMTEXT;
ALTER TABLE catalogue_products ADD COLUMN draft MEDIUMTEXT;
ALTER TABLE catalogue_products ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE catalogue_products ADD COLUMN list_at BIGINT;
ALTER TABLE catalogue_products ADD COLUMN delist_at BIGINT;
ALTER TABLE catalogue_products ADD COLUMN plan_reason VARCHAR(500);
CREATE INDEX catalogue_products_category ON catalogue_products (category_id, id);
CREATE INDEX catalogue_products_brand ON catalogue_products (brand_id, id);
ALTER TABLE catalogue_skus ADD COLUMN limit_per_order BIGINT;
ALTER TABLE catalogue_skus ADD COLUMN limit_per_buyer BIGINT;
ALTER TABLE catalogue_skus ADD COLUMN prices_version BIGINT NOT NULL DEFAULT 0;
CREATE TABLE catalogue_product_attributes (
  attribute VARCHAR(60) NOT NULL,
  product_id BINARY(16) NOT NULL,
  choice VARCHAR(60),
  number BIGINT,
  PRIMARY KEY (attribute, product_id)
);
CREATE INDEX catalogue_product_attributes_product ON catalogue_product_attributes (product_id);
CREATE TABLE catalogue_prices (
  id BINARY(16) NOT NULL PRIMARY KEY,
  sku VARCHAR(64) NOT NULL,
  price_minor BIGINT NOT NULL,
  begins_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  planned_end BIGINT,
  cancelled_at BIGINT,
  reason VARCHAR(500) NOT NULL,
  made_by BINARY(16),
  made_at BIGINT NOT NULL
);
CREATE INDEX catalogue_prices_sku ON catalogue_prices (sku, ends_at);
