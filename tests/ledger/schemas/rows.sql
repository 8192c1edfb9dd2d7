-- What stands in the ledgers of these schemas: two orders; one purchase placed, one in doubt, one planned.

INSERT INTO orders (id, store, order_id, ordered_at, customer_email, eligible, digest) VALUES
    (1, 'acme', 'WR-1', '2026-03-01T12:00:00.000000+00:00', 'ana@example.com', '1', 'one'),
    (2, 'acme', 'WR-2', '2026-03-01T13:00:00.000000+00:00', NULL, '1', 'two');

INSERT INTO order_names (store, name, "order") VALUES ('acme', 'wr:WR-1', 1), ('acme', 'wr:WR-2', 2);

INSERT INTO placements (id, "order", slot, "key", provider, kind, quantity, unit, options, on_behalf, status, due_at,
    attempts, planned_at, first_attempted_at, attempted_at, ref, price_usd_cents, placed_at, placed_on, checks) VALUES
    (1, 1, 'offset', 'key-1', 'cnaught', 'offset', 2500, 'g', '{}', '0', 'placed', '2026-03-02T12:05:00.000000+00:00',
        1, '2026-03-02T12:00:00.000000+00:00', '2026-03-02T12:00:01.000000+00:00', '2026-03-02T12:00:01.000000+00:00',
        'order-1', 250, '2026-03-02T12:00:02.000000+00:00', '2026-03-02', 0),
    (2, 2, 'offset', 'key-2', 'cnaught', 'offset', 2500, 'g', '{}', '0', 'in_doubt', '2026-03-02T12:00:02.000000+00:00',
        1, '2026-03-02T12:00:00.000000+00:00', '2026-03-02T12:00:01.000000+00:00', '2026-03-02T12:00:01.000000+00:00',
        NULL, NULL, NULL, NULL, 0),
    (3, 2, 'more', 'key-3', 'cnaught', 'offset', 900, 'g', '{}', '0', 'planned', '2026-03-02T12:00:00.000000+00:00',
        0, '2026-03-02T12:00:00.000000+00:00', NULL, NULL, NULL, NULL, NULL, NULL, 0);

INSERT INTO events (id, placement, "at", from_status, to_status, attempt, run_id, detail) VALUES
    (1, 1, '2026-03-02T12:00:00.000000+00:00', NULL, 'planned', 0, 'run-1', '2500 g'),
    (2, 2, '2026-03-02T12:00:00.000000+00:00', NULL, 'planned', 0, 'run-1', '2500 g'),
    (3, 3, '2026-03-02T12:00:00.000000+00:00', NULL, 'planned', 0, 'run-1', '900 g'),
    (4, 1, '2026-03-02T12:00:01.000000+00:00', 'planned', 'placing', 1, 'run-1', NULL),
    (5, 2, '2026-03-02T12:00:01.000000+00:00', 'planned', 'placing', 1, 'run-1', NULL),
    (6, 1, '2026-03-02T12:00:02.000000+00:00', 'placing', 'placed', 1, 'run-1', 'order-1'),
    (7, 2, '2026-03-02T12:00:02.000000+00:00', 'placing', 'in_doubt', 1, 'run-1', 'the answer was lost');
