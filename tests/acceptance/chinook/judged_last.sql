-- Every column of MariaDB's tables, as text where types differ, in the order of neutral.py;
-- the judge knows nothing of the mappings that crossfade is given.

-- artist
SELECT
    `ArtistId`, `Name`
FROM `Artist`;

-- album
SELECT
    `AlbumId`, `Title`, `ArtistId`
FROM `Album`;

-- genre
SELECT
    `GenreId`, `Name`
FROM `Genre`;

-- media_type
SELECT
    `MediaTypeId`, `Name`
FROM `Media Type`;

-- track
SELECT
    `TrackId`, `Name`, `AlbumId`, `MediaTypeId`, `GenreId`, `Composer`, `Milliseconds`, `Bytes`,
    CAST(`Unit%Price` AS CHAR)
FROM `Track`;

-- playlist
SELECT
    `PlaylistId`, `Name`
FROM `Playlist`;

-- playlist_track
SELECT
    `PlaylistId`, `TrackId`
FROM `PlaylistTrack`;

-- employee
SELECT
    `EmployeeId`, `LastName`, `FirstName`, `Title`, `ReportsTo`, CAST(`BirthDate` AS CHAR),
    CAST(`HireDate` AS CHAR), `Address`, `City`, `State`, `Country`, `PostalCode`, `Phone`, `Fax`,
    `Email`
FROM `Employee`;

-- customer
SELECT
    `CustomerId`, `FirstName`, `LastName`, `Company`, `Address`, `City`, `State`, `Country`,
    `PostalCode`, `Phone`, `Fax`, `Email`, `SupportRepId`
FROM `Customer`;

-- invoice
SELECT
    `InvoiceId`, `CustomerId`, CAST(`InvoiceDate` AS CHAR), `BillingAddress`, `BillingCity`,
    `BillingState`, `BillingCountry`, `BillingPostalCode`, CAST(`Total` AS CHAR)
FROM `Invoice`;

-- invoice_line
SELECT
    `InvoiceLineId`, `InvoiceId`, `TrackId`, CAST(`UnitPrice` AS CHAR), `Quantity`
FROM `InvoiceLine`;
