-- Every column of PostgreSQL's tables, as text where types differ, in the order of neutral.py;
-- the judge knows nothing of the mappings that crossfade is given.

-- artist
SELECT
    id, full_name
FROM artists;

-- album
SELECT
    id, title, made_by
FROM records;

-- genre
SELECT
    id, label
FROM styles;

-- media_type
SELECT
    id, label
FROM formats;

-- track
SELECT
    id, title, record_id, format_id, style_id, written_by, length_ms, size_bytes, price::text
FROM songs;

-- playlist
SELECT
    id, label
FROM mixes;

-- playlist_track
SELECT
    mix_id, song_id
FROM mix_songs;

-- employee
SELECT
    id, last_name, first_name, job, boss_id, born_on::timestamp::text, hired_on::timestamp::text,
    contact ->> 'address', contact ->> 'city', contact ->> 'state', contact ->> 'country',
    contact ->> 'postalcode', contact ->> 'phone', contact ->> 'fax', contact ->> 'email'
FROM staff;

-- customer
SELECT
    id, first_name, last_name, company, street, city, state, country, postal_code, phone, fax,
    email, cared_for_by
FROM customers;

-- invoice
SELECT
    id, customer_id, issued_at::text, street, city, state, country, postal_code, total::text
FROM bills;

-- invoice_line
SELECT
    id, bill_id, song_id, price::text, quantity
FROM bill_positions;
