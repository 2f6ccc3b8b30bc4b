-- The legacy shop's tables: relational, money as floating-point units.
CREATE TABLE IF NOT EXISTS Customer (
    CustomerId INTEGER PRIMARY KEY,
    FullName TEXT NOT NULL,
    Email TEXT NOT NULL,
    City TEXT NULL,
    Note TEXT NOT NULL,
    Credit REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS "Order" (
    OrderId INTEGER PRIMARY KEY,
    CustomerId INTEGER NOT NULL,
    PlacedAt TEXT NOT NULL,
    Status TEXT NOT NULL,
    Total REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS OrderLine (
    OrderId INTEGER NOT NULL,
    LineNumber INTEGER NOT NULL,
    Sku TEXT NOT NULL,
    Quantity INTEGER NOT NULL,
    UnitPrice REAL NOT NULL,
    PRIMARY KEY (OrderId, LineNumber)
);
