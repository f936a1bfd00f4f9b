CREATE TABLE ordering_orders (
    order_id BINARY(16) NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    account_id BINARY(16) NOT NULL,
    cart_id BINARY(16) NOT NULL,
    address_id BINARY(16) NOT NULL,
    shipping_method VARCHAR(32) NOT NULL,
    quote_id VARCHAR(64) NOT NULL,
    currency VARCHAR(3) NOT NULL,
    subtotal_minor BIGINT NOT NULL,
    freight_minor BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    paid_minor BIGINT NOT NULL,
    order_axis VARCHAR(20) NOT NULL,
    payment_axis VARCHAR(20) NOT NULL,
    fulfilment_axis VARCHAR(20) NOT NULL,
    after_sale_axis VARCHAR(20) NOT NULL,
    payment_id BINARY(16),
    payment_deadline BIGINT NOT NULL,
    shipment_id BINARY(16),
    carrier VARCHAR(100),
    tracking_number VARCHAR(100),
    cancel_reason VARCHAR(16),
    cancel_requested_at BIGINT,
    cancelled_at BIGINT,
    rejection_code VARCHAR(100),
    rejection_message VARCHAR(500),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX ordering_orders_account ON ordering_orders (account_id, order_id);
CREATE TABLE ordering_lines (
    order_id BINARY(16) NOT NULL,
    line_number BIGINT NOT NULL,
    sku VARCHAR(64) NOT NULL,
    product_id BINARY(16) NOT NULL,
    title_zh VARCHAR(300) NOT NULL,
    title_en VARCHAR(300) NOT NULL,
    options_zh VARCHAR(1000) NOT NULL,
    options_en VARCHAR(1000) NOT NULL,
    unit_price_minor BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (order_id, line_number)
);
CREATE TABLE ordering_accepted_quotes (
    cart_id BINARY(16) NOT NULL,
    quote_id VARCHAR(64) NOT NULL,
    order_id BINARY(16) NOT NULL,
    PRIMARY KEY (cart_id, quote_id)
)
