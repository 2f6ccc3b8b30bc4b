-- Chinook as a third service has it in MariaDB: names that need quoting, unsigned ids.
CREATE TABLE `Artist` (
    `ArtistId` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `Name` varchar(120)
);
CREATE TABLE `Album` (
    `AlbumId` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `Title` varchar(160) NOT NULL,
    `ArtistId` int unsigned NOT NULL,
    FOREIGN KEY (`ArtistId`) REFERENCES `Artist` (`ArtistId`)
);
CREATE TABLE `Genre` (
    `GenreId` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `Name` varchar(120)
);
CREATE TABLE `Media Type` (
    `MediaTypeId` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `Name` varchar(120)
);
CREATE TABLE `Track` (
    `TrackId` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `Name` varchar(200) NOT NULL,
    `AlbumId` int unsigned,
    `MediaTypeId` int unsigned NOT NULL,
    `GenreId` int unsigned,
    `Composer` varchar(220),
    `Milliseconds` int unsigned NOT NULL,
    `Bytes` int unsigned,
    `Unit%Price` decimal(10, 2) NOT NULL,
    FOREIGN KEY (`AlbumId`) REFERENCES `Album` (`AlbumId`),
    FOREIGN KEY (`GenreId`) REFERENCES `Genre` (`GenreId`),
    FOREIGN KEY (`MediaTypeId`) REFERENCES `Media Type` (`MediaTypeId`)
);
CREATE TABLE `Playlist` (
    `PlaylistId` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `Name` varchar(120)
);
CREATE TABLE `PlaylistTrack` (
    `PlaylistId` int unsigned NOT NULL,
    `TrackId` int unsigned NOT NULL,
    PRIMARY KEY (`PlaylistId`, `TrackId`),
    FOREIGN KEY (`PlaylistId`) REFERENCES `Playlist` (`PlaylistId`),
    FOREIGN KEY (`TrackId`) REFERENCES `Track` (`TrackId`)
);
CREATE TABLE `Employee` (
    `EmployeeId` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `LastName` varchar(20) NOT NULL,
    `FirstName` varchar(20) NOT NULL,
    `Title` varchar(30),
    `ReportsTo` int unsigned,
    `BirthDate` datetime,
    `HireDate` datetime,
    `Address` varchar(70),
    `City` varchar(40),
    `State` varchar(40),
    `Country` varchar(40),
    `PostalCode` varchar(10),
    `Phone` varchar(24),
    `Fax` varchar(24),
    `Email` varchar(60),
    FOREIGN KEY (`ReportsTo`) REFERENCES `Employee` (`EmployeeId`)
);
CREATE TABLE `Customer` (
    `CustomerId` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `FirstName` varchar(40) NOT NULL,
    `LastName` varchar(20) NOT NULL,
    `Company` varchar(80),
    `Address` varchar(70),
    `City` varchar(40),
    `State` varchar(40),
    `Country` varchar(40),
    `PostalCode` varchar(10),
    `Phone` varchar(24),
    `Fax` varchar(24),
    `Email` varchar(60) NOT NULL,
    `SupportRepId` int unsigned,
    FOREIGN KEY (`SupportRepId`) REFERENCES `Employee` (`EmployeeId`)
);
CREATE TABLE `Invoice` (
    `InvoiceId` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `CustomerId` int unsigned NOT NULL,
    `InvoiceDate` datetime NOT NULL,
    `BillingAddress` varchar(70),
    `BillingCity` varchar(40),
    `BillingState` varchar(40),
    `BillingCountry` varchar(40),
    `BillingPostalCode` varchar(10),
    `Total` decimal(10, 2) NOT NULL,
    FOREIGN KEY (`CustomerId`) REFERENCES `Customer` (`CustomerId`)
);
CREATE TABLE `InvoiceLine` (
    `InvoiceLineId` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `InvoiceId` int unsigned NOT NULL,
    `TrackId` int unsigned NOT NULL,
    `UnitPrice` decimal(10, 2) NOT NULL,
    `Quantity` int unsigned NOT NULL,
    FOREIGN KEY (`InvoiceId`) REFERENCES `Invoice` (`InvoiceId`),
    FOREIGN KEY (`TrackId`) REFERENCES `Track` (`TrackId`)
);
