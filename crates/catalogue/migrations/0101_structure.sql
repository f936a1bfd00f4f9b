CREATE TABLE catalogue_guards (
  name VARCHAR(20) NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL
);
INSERT INTO catalogue_guards (name, version) VALUES ('structure', 0);
CREATE TABLE catalogue_categories (
  id BINARY(16) NOT NULL PRIMARY KEY,
  parent_id BINARY(16),
  ordinal BIGINT NOT NULL,
  slug VARCHAR(60) NOT NULL,
  name_zh VARCHAR(80) NOT NULL,
  name_en VARCHAR(80) NOT NULL,
  attributes MEDIUMTEXT NOT NULL,
  version BIGINT NOT NULL
);
CREATE UNIQUE INDEX catalogue_categories_slug ON catalogue_categories (slug);
CREATE TABLE catalogue_brands (
  id BINARY(16) NOT NULL PRIMARY KEY,
  slug VARCHAR(60) NOT NULL,
  name_zh VARCHAR(80) NOT NULL,
  name_en VARCHAR(80) NOT NULL,
  version BIGINT NOT NULL
);
CREATE UNIQUE INDEX catalogue_brands_slug ON catalogue_brands (slug);
CREATE TABLE catalogue_attributes (
  code VARCHAR(60) NOT NULL PRIMARY KEY,
  definition MEDIUMTEXT NOT NULL,
  version BIGINT NOT NULL
);
CREATE TABLE catalogue_history (
  id BINARY(16) NOT NULL PRIMARY KEY,
  kind VARCHAR(20) NOT NULL,
  object VARCHAR(64) NOT NULL,
  product_id BINARY(16),
  action VARCHAR(60) NOT NULL,
  was MEDIUMTEXT NOT NULL,
  became MEDIUMTEXT NOT NULL,
  actor BINARY(16),
  reason VARCHAR(500),
  at BIGINT NOT NULL
);
CREATE INDEX catalogue_history_product ON catalogue_history (product_id, id);
CREATE INDEX catalogue_history_object ON catalogue_history (object, id);
