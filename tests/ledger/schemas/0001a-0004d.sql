-- A ledger as commit e217fa7 and then 2e05d3a made it.

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE broken_orders (
	store TEXT NOT NULL,
	name TEXT NOT NULL,
	problem TEXT NOT NULL,
	first_seen_at VARCHAR(32) NOT NULL,
	last_seen_at VARCHAR(32) NOT NULL,
	CONSTRAINT pk_broken_orders PRIMARY KEY (store, name)
);

CREATE TABLE orders (
	id INTEGER NOT NULL,
	store TEXT NOT NULL,
	order_id TEXT NOT NULL,
	ordered_at VARCHAR(32) NOT NULL,
	customer_email TEXT,
	eligible BOOLEAN NOT NULL,
	digest TEXT NOT NULL, same_as INTEGER REFERENCES orders (id), refunded BOOLEAN,
	CONSTRAINT pk_orders PRIMARY KEY (id)
);

CREATE INDEX ix_orders_store_orders_ordered_at ON orders (store, ordered_at);

CREATE TABLE watermarks (
	store TEXT NOT NULL,
	source TEXT NOT NULL,
	read_to DATE NOT NULL,
	CONSTRAINT pk_watermarks PRIMARY KEY (store, source)
);

CREATE TABLE order_names (
	store TEXT NOT NULL,
	name TEXT NOT NULL,
	"order" INTEGER NOT NULL,
	CONSTRAINT pk_order_names PRIMARY KEY (store, name),
	CONSTRAINT fk_order_names_order FOREIGN KEY("order") REFERENCES orders (id)
);

CREATE INDEX ix_order_names_order ON order_names ("order");

CREATE TABLE placements (
	id INTEGER NOT NULL,
	"order" INTEGER NOT NULL,
	slot TEXT NOT NULL,
	"key" TEXT NOT NULL,
	provider TEXT NOT NULL,
	kind TEXT NOT NULL,
	quantity BIGINT,
	unit TEXT NOT NULL,
	options TEXT NOT NULL,
	on_behalf BOOLEAN NOT NULL,
	status TEXT NOT NULL,
	reason TEXT,
	due_at VARCHAR(32),
	attempts INTEGER NOT NULL,
	planned_at VARCHAR(32) NOT NULL,
	first_attempted_at VARCHAR(32),
	attempted_at VARCHAR(32),
	twin TEXT,
	unresolved_twin TEXT,
	handle TEXT,
	ref TEXT,
	price_usd_cents BIGINT,
	certificate_url TEXT,
	placed_at VARCHAR(32),
	placed_on DATE,
	completed_at VARCHAR(32),
	checks INTEGER NOT NULL, approval_limit BIGINT, approved TEXT, decided TEXT,
	CONSTRAINT pk_placements PRIMARY KEY (id),
	CONSTRAINT fk_placements_order FOREIGN KEY("order") REFERENCES orders (id),
	CONSTRAINT uq_placements_key UNIQUE ("key"),
	CONSTRAINT uq_placements_order_slot UNIQUE ("order", slot),
	CONSTRAINT uq_placements_provider_ref UNIQUE (provider, ref),
	CONSTRAINT uq_placements_unresolved_twin UNIQUE (unresolved_twin)
);

CREATE INDEX ix_placements_placed_on_placements_slot ON placements (placed_on, slot);

CREATE INDEX ix_placements_provider_placements_status_placements_due_at_placements_id ON placements (provider, status, due_at, id);

CREATE TABLE unearned (
	"order" INTEGER NOT NULL,
	slot TEXT NOT NULL,
	reason TEXT NOT NULL,
	CONSTRAINT pk_unearned PRIMARY KEY ("order", slot),
	CONSTRAINT fk_unearned_order FOREIGN KEY("order") REFERENCES orders (id)
);

CREATE TABLE events (
	id INTEGER NOT NULL,
	placement INTEGER NOT NULL,
	at VARCHAR(32) NOT NULL,
	from_status TEXT,
	to_status TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	run_id TEXT NOT NULL,
	detail TEXT,
	CONSTRAINT pk_events PRIMARY KEY (id),
	CONSTRAINT fk_events_placement FOREIGN KEY(placement) REFERENCES placements (id)
);

CREATE INDEX ix_events_placement ON events (placement);

CREATE INDEX ix_orders_same_as ON orders (same_as);

CREATE TABLE further_purchases (
	provider TEXT NOT NULL,
	ref TEXT NOT NULL,
	placement INTEGER NOT NULL,
	found_at VARCHAR(32) NOT NULL,
	cancelling_at VARCHAR(32),
	cancelled_at VARCHAR(32),
	CONSTRAINT pk_further_purchases PRIMARY KEY (provider, ref),
	CONSTRAINT fk_further_purchases_placement FOREIGN KEY(placement) REFERENCES placements (id)
);

CREATE INDEX ix_further_purchases_placement ON further_purchases (placement);

CREATE TABLE deliveries (
	id INTEGER NOT NULL,
	store TEXT NOT NULL,
	source TEXT NOT NULL,
	webhook_id TEXT NOT NULL,
	topic TEXT NOT NULL,
	received_at VARCHAR(32) NOT NULL,
	body BLOB,
	handled_at VARCHAR(32),
	problem TEXT,
	CONSTRAINT pk_deliveries PRIMARY KEY (id),
	CONSTRAINT uq_deliveries_store_source_webhook_id UNIQUE (store, source, webhook_id)
);

CREATE INDEX ix_deliveries_store_deliveries_handled_at_deliveries_id ON deliveries (store, handled_at, id);

CREATE TABLE refunds (
	store TEXT NOT NULL,
	name TEXT NOT NULL,
	ref TEXT NOT NULL,
	amount TEXT,
	currency TEXT,
	is_full BOOLEAN NOT NULL,
	seen_at VARCHAR(32) NOT NULL,
	CONSTRAINT pk_refunds PRIMARY KEY (store, name, ref)
);

CREATE TABLE approvals (
	id INTEGER NOT NULL,
	placement INTEGER NOT NULL,
	at VARCHAR(32) NOT NULL,
	"by" TEXT NOT NULL,
	decision TEXT NOT NULL,
	quantity BIGINT,
	digest TEXT,
	why TEXT,
	run_id TEXT NOT NULL,
	CONSTRAINT pk_approvals PRIMARY KEY (id),
	CONSTRAINT fk_approvals_placement FOREIGN KEY(placement) REFERENCES placements (id)
);

CREATE INDEX ix_approvals_placement ON approvals (placement);

INSERT INTO alembic_version VALUES ('0004');
