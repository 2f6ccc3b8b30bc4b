-- Every column of SQLite's tables, as text where types differ, in the order of neutral.py;
-- the judge knows nothing of the mappings that crossfade is given.

-- artist
SELECT
    "ArtistId", "Name"
FROM "Artist";

-- album
SELECT
    "AlbumId", "Title", "ArtistId"
FROM "Album";

-- genre
SELECT
    "GenreId", "Name"
FROM "Genre";

-- media_type
SELECT
    "MediaTypeId", "Name"
FROM "MediaType";

-- track
SELECT
    "TrackId", "Name", "AlbumId", "MediaTypeId", "GenreId", "Composer", "Milliseconds", "Bytes",
    printf('%.2f', "UnitPrice")
FROM "Track";

-- playlist
SELECT
    "PlaylistId", "Name"
FROM "Playlist";

-- playlist_track
SELECT
    "PlaylistId", "TrackId"
FROM "PlaylistTrack";

-- employee
SELECT
    "EmployeeId", "LastName", "FirstName", "Title", "ReportsTo", "BirthDate", "HireDate",
    "Address", "City", "State", "Country", "PostalCode", "Phone", "Fax", "Email"
FROM "Employee";

-- customer
SELECT
    "CustomerId", "FirstName", "LastName", "Company", "Address", "City", "State", "Country",
    "PostalCode", "Phone", "Fax", "Email", "SupportRepId"
FROM "Customer";

-- invoice
SELECT
    "InvoiceId", "CustomerId", "InvoiceDate", "BillingAddress", "BillingCity", "BillingState",
    "BillingCountry", "BillingPostalCode", printf('%.2f', "Total")
FROM "Invoice";

-- invoice_line
SELECT
    "InvoiceLineId", "InvoiceId", "TrackId", printf('%.2f', "UnitPrice"), "Quantity"
FROM "InvoiceLine";
