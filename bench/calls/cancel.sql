UPDATE seats.subscriptions SET status = 'canceled' WHERE id = :subscription
