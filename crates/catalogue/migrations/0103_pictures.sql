CREATE TABLE catalogue_pictures (
  id BINARY(16) NOT NULL PRIMARY KEY,
  product_id BINARY(16) NOT NULL,
  ordinal BIGINT NOT NULL,
  alt_zh VARCHAR(200) NOT NULL,
  alt_en VARCHAR(200) NOT NULL
);
CREATE INDEX catalogue_pictures_product ON catalogue_pictures (product_id, ordinal);
CREATE TABLE catalogue_picture_files (
  picture_id BINARY(16) NOT NULL,
  object VARCHAR(80) NOT NULL,
  width BIGINT NOT NULL,
  height BIGINT NOT NULL,
  PRIMARY KEY (picture_id, object)
);
CREATE INDEX catalogue_picture_files_object ON catalogue_picture_files (object);
CREATE TABLE catalogue_objects (
  object VARCHAR(80) NOT NULL PRIMARY KEY,
  media_type VARCHAR(40) NOT NULL,
  state VARCHAR(10) NOT NULL,
  touched_at BIGINT NOT NULL
);
CREATE INDEX catalogue_objects_touched ON catalogue_objects (touched_at);
