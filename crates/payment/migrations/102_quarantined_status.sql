UPDATE payment_payments SET status = 'quarantined' WHERE status = 'captured' AND amount_minor <> (
    SELECT -p.minor FROM payment_postings p
    WHERE p.payment_id = payment_payments.payment_id AND p.account = 'buyers' AND p.refund_id IS NULL
    ORDER BY p.version LIMIT 1
)
