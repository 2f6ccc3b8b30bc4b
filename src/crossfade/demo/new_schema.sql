-- The new shop's tables: other names, integer cents, an order and its lines as one document.
CREATE TABLE IF NOT EXISTS customers (
    id INTEGER PRIMARY KEY,
    display_name TEXT NOT NULL,
    email TEXT NOT NULL,
    city TEXT NULL,
    note TEXT NOT NULL,
    credit_cents INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL,
    document TEXT NOT NULL
);
