-- Every column of the independently loaded script's tables, as text where types differ, in the order of neutral.py;
-- the judge knows nothing of the mappings that crossfade is given.

-- artist
SELECT
    artist_id, name
FROM artist;

-- album
SELECT
    album_id, title, artist_id
FROM album;

-- genre
SELECT
    genre_id, name
FROM genre;

-- media_type
SELECT
    media_type_id, name
FROM media_type;

-- track
SELECT
    track_id, name, album_id, media_type_id, genre_id, composer, milliseconds, bytes,
    unit_price::text
FROM track;

-- playlist
SELECT
    playlist_id, name
FROM playlist;

-- playlist_track
SELECT
    playlist_id, track_id
FROM playlist_track;

-- employee
SELECT
    employee_id, last_name, first_name, title, reports_to, birth_date::text, hire_date::text,
    address, city, state, country, postal_code, phone, fax, email
FROM employee;

-- customer
SELECT
    customer_id, first_name, last_name, company, address, city, state, country, postal_code,
    phone, fax, email, support_rep_id
FROM customer;

-- invoice
SELECT
    invoice_id, customer_id, invoice_date::text, billing_address, billing_city, billing_state,
    billing_country, billing_postal_code, total::text
FROM invoice;

-- invoice_line
SELECT
    invoice_line_id, invoice_id, track_id, unit_price::text, quantity
FROM invoice_line;
