CREATE TABLE catalogue_products (
  id BINARY(16) NOT NULL PRIMARY KEY,
  status VARCHAR(16) NOT NULL,
  title_zh VARCHAR(200) NOT NULL,
  title_en VARCHAR(200) NOT NULL,
  description_zh MEDIUMTEXT NOT NULL,
  description_en MEDIUMTEXT NOT NULL,
  options MEDIUMTEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX catalogue_products_listed ON catalogue_products (status, id);
CREATE TABLE catalogue_skus (
  sku VARCHAR(64) NOT NULL PRIMARY KEY,
  product_id BINARY(16) NOT NULL,
  ordinal BIGINT NOT NULL,
  choices MEDIUMTEXT NOT NULL,
  price_minor BIGINT NOT NULL,
  currency VARCHAR(3) NOT NULL,
  weight_grams BIGINT NOT NULL,
  status VARCHAR(16) NOT NULL
);
CREATE INDEX catalogue_skus_product ON catalogue_skus (product_id, ordinal);
