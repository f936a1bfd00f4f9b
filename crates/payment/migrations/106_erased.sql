CREATE TABLE payment_erased (
    account_id BINARY(16) NOT NULL PRIMARY KEY,
    erased_at BIGINT NOT NULL
);
CREATE INDEX payment_payments_buyer ON payment_payments (buyer)
