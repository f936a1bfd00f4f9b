CREATE INDEX shipping_shipments_tracking ON shipping_shipments (tracking_number, opened_at, shipment);
