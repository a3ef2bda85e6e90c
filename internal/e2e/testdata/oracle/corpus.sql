-- scan
SELECT * FROM events;
-- scan
SELECT id, timestamp, payload.n, payload.v, payload.s, payload.flag FROM events;
-- scan
SELECT payload.n FROM events WHERE payload.n > 500;
-- scan
SELECT e.payload.n, e.payload.s FROM events e WHERE e.payload.s = 's3' AND e.payload.n BETWEEN 100 AND 700;
-- scan
SELECT n, s FROM events WHERE s IS NULL;
-- scan
SELECT events.n, events.payload.v FROM events WHERE events.payload.flag;
-- scan
SELECT payload.n, payload.v FROM events WHERE payload.v IS NOT NULL AND payload.v <> floor(payload.v);
-- scan
SELECT n, mixed FROM events WHERE mixed IS NOT NULL;
-- scan
SELECT n, obj, obj.a, payload.obj.b.c, payload.obj.b.d FROM events;
-- scan
SELECT n, tags, tags[1], len(tags), nums[2] FROM events;
-- scan
SELECT n FROM events WHERE list_contains(payload.tags, 't2');
-- scan
SELECT n, upper(userName), length(s), n % 3, -n, n / 2, n // 2 FROM events WHERE n < 50;
-- scan
SELECT n, big, big + 1, big::VARCHAR FROM events WHERE big >= 9007199254740993;
-- scan
SELECT n, huge, huge + 1 FROM events WHERE huge > 1000000000000000000000800;
-- scan
SELECT n, "größe", payload."größe" FROM events WHERE "größe" % 2 = 1;
-- scan
SELECT n, "with space", payload."with space" AS again FROM events WHERE payload."with space" = 1;
-- scan
-- duckdb: SELECT id, "payload.id" AS id, "payload.timestamp" AS timestamp, timestamp FROM events
SELECT id, payload.id, payload.timestamp, timestamp FROM events;
-- duckdb: SELECT "payload.id" AS inner_id, count(*) AS c FROM events GROUP BY "payload.id"
SELECT payload.id AS inner_id, count(*) AS c FROM events GROUP BY payload.id;
-- duckdb: SELECT e."payload.id" || '/' || e.id AS both FROM events e WHERE e."payload.id" = 'inner-1'
SELECT e.payload.id || '/' || e.id AS both FROM events e WHERE e.payload.id = 'inner-1';
-- scan
-- duckdb: SELECT N, Username, USERNAME AS again FROM EVENTS WHERE N < 10
SELECT PAYLOAD.N, Username, payload.USERNAME AS again FROM EVENTS WHERE N < 10;
SELECT n FROM events WHERE id = 'user-1';
SELECT n FROM events WHERE id = 'a b/c%:é';
SELECT count(*) FROM events WHERE id = 'it''s';
SELECT count(*) FROM events WHERE id = 'say "x"';
SELECT count(*), min(n) FROM events WHERE id IN ('_', '..', '%41', 'nobody', 'ünï/..x');
SELECT id, count(*) AS c FROM events WHERE id IN ('A', 'a') GROUP BY id;
SELECT count(*) FROM events WHERE id = 'user-1' OR id = '日本';
SELECT count(*) FROM events WHERE id LIKE 'user-%';
SELECT count(*) FROM events WHERE id = 'nobody';
-- scan
SELECT n FROM events WHERE timestamp >= '2024-03-01' AND timestamp < '2024-03-02T12:00:00Z';
SELECT count(*) FROM events WHERE timestamp = TIMESTAMPTZ '2024-02-27 22:30:00+00';
SELECT count(*) FROM events WHERE timestamp BETWEEN '2024-02-28' AND '2024-02-29' AND id = 'user-2';
SELECT count(*) FROM events WHERE '2024-03-02' < timestamp;
SELECT count(*) FROM events WHERE timestamp > '2099-01-01';
SELECT count(*) FROM events WHERE timestamp >= '2024-03-01'::DATE AND NOT (id = 'A');
SELECT count(*) FROM events WHERE timestamp + INTERVAL 1 DAY > '2024-03-03';
-- scan
SELECT n, timestamp::VARCHAR AS t, date_trunc('day', timestamp) AS day, extract(hour FROM timestamp) AS hour FROM events;
SELECT date_trunc('day', timestamp) AS day, count(*) AS c, sum(n) AS s FROM events GROUP BY day;
SELECT timestamp::DATE AS d, max(timestamp) AS last FROM events GROUP BY ALL;
-- scan
SELECT timestamp AT TIME ZONE 'Asia/Shanghai' AS local, n FROM events WHERE n < 20;
SELECT time_bucket(INTERVAL '6 hours', timestamp) AS b, count(*) AS c FROM events GROUP BY b;
SELECT count(*) FROM events;
SELECT COUNT(*), COUNT(payload.v), COUNT(DISTINCT payload.s), COUNT(DISTINCT id) FROM events;
SELECT sum(n), avg(n), min(v), max(v), sum(v) FROM events;
SELECT sum(payload.n) FILTER (WHERE payload.flag) AS yes, count(*) FILTER (WHERE NOT flag) AS no FROM events;
SELECT payload.s, COUNT(*) AS c, SUM(payload.v) AS v FROM events GROUP BY payload.s;
-- ordered
SELECT s, count(*) AS c FROM events GROUP BY s ORDER BY c DESC, s NULLS FIRST;
SELECT s, flag, sum(n) AS total FROM events GROUP BY ALL HAVING sum(n) > 10000;
SELECT obj.a AS a, obj.b.c AS c, count(*) FROM events GROUP BY ALL;
SELECT s, flag, count(*) AS c, grouping(s) AS g FROM events GROUP BY ROLLUP (s, flag);
SELECT s, flag, count(*) AS c FROM events GROUP BY GROUPING SETS ((s), (flag), ());
SELECT stddev_samp(n), var_pop(n), median(n), quantile_cont(n, 0.25), entropy(n) FROM events WHERE n < 399;
SELECT arg_max(s, n), arg_min(id, n), bool_and(flag), bit_xor(n) FROM events;
-- ordered
SELECT list(n ORDER BY n) AS ns, string_agg(s, ',' ORDER BY n) AS ss FROM events WHERE n < 12;
SELECT DISTINCT s, flag FROM events;
SELECT DISTINCT ON (s) s, n FROM events ORDER BY s, n DESC;
-- ordered
SELECT n, v FROM events ORDER BY v DESC NULLS LAST, n LIMIT 17 OFFSET 5;
-- ordered
SELECT n FROM events ORDER BY n LIMIT 0;
-- ordered
SELECT id, timestamp, n FROM events ORDER BY timestamp DESC LIMIT 10;
-- ordered
SELECT n, row_number() OVER (PARTITION BY s ORDER BY n) AS r, lag(n) OVER (PARTITION BY s ORDER BY n) AS before FROM events ORDER BY n;
SELECT n, sum(v) OVER (PARTITION BY id ORDER BY timestamp ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS moving FROM events;
SELECT n, rank() OVER w AS r, dense_rank() OVER w AS d FROM events WINDOW w AS (PARTITION BY flag ORDER BY s NULLS FIRST);
SELECT id, n FROM events QUALIFY row_number() OVER (PARTITION BY id ORDER BY timestamp DESC) = 1;
SELECT id, payload.n FROM events QUALIFY max(payload.n) OVER (PARTITION BY id) = payload.n;
SELECT * EXCLUDE (tags, nums, obj, mixed, items) FROM events WHERE n = 850;
SELECT * REPLACE (n * 2 AS n) FROM users, (SELECT 1 AS n) WHERE age = 20;
SELECT nullif(s, 's1') AS s3, greatest(n, v) AS g FROM events;
SELECT COLUMNS('^(n|v|s)$') FROM events WHERE n < 5;
SELECT min(COLUMNS(['n', 'v'])) FROM events;
FROM users WHERE age > 40;
FROM orders SELECT user_id, sum(amount) AS total GROUP BY user_id;
SELECT u.payload.name, COUNT(o.id) AS order_count FROM users u LEFT JOIN orders o ON u.id = o.payload.user_id GROUP BY u.payload.name;
SELECT u.name, o.amount FROM users u JOIN orders o ON o.user_id = u.id WHERE u.city = '北京' AND o.qty > 3;
SELECT u.id, o.id AS order_id FROM users u FULL JOIN orders o ON o.payload.user_id = u.id WHERE o.id IS NULL OR u.id IS NULL;
SELECT u.name FROM users u SEMI JOIN orders o ON o.user_id = u.id;
SELECT u.name FROM users u ANTI JOIN orders o ON o.user_id = u.id;
SELECT u.name, x.total FROM users u, LATERAL (SELECT sum(o.amount) AS total FROM orders o WHERE o.user_id = u.id) x;
SELECT a.id, b.id AS other FROM users a JOIN users b ON a.payload.age = b.payload.age AND a.id < b.id;
SELECT count(*) FROM users CROSS JOIN orders;
SELECT * FROM users JOIN orders USING (id);
SELECT city, (SELECT count(*) FROM orders o WHERE o.user_id IN (SELECT id FROM users i WHERE i.city = u.city)) AS c FROM users u GROUP BY city;
SELECT name FROM users WHERE id IN (SELECT payload.user_id FROM orders WHERE payload.amount > 24);
SELECT name FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.payload.user_id = u.id AND o.payload.qty = 8);
SELECT name, age FROM users WHERE age > (SELECT avg(age) FROM users);
SELECT name FROM users WHERE age >= ALL (SELECT age FROM users WHERE city = 'Rio');
WITH big AS (SELECT user_id, sum(amount) AS total FROM orders GROUP BY user_id) SELECT u.name, b.total FROM users u JOIN big b ON b.user_id = u.id WHERE b.total > 90;
WITH a AS (SELECT payload.n AS x FROM events WHERE payload.n < 5), b AS (SELECT x + 1 AS x FROM a) SELECT a.x, b.x AS y FROM a JOIN b USING (x);
WITH users AS (SELECT 1 AS one) SELECT * FROM users;
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 10) SELECT r.i, e.s FROM r JOIN events e ON e.n = r.i;
SELECT id FROM users UNION SELECT user_id FROM orders;
SELECT id FROM users UNION ALL SELECT user_id FROM orders;
SELECT id FROM users INTERSECT SELECT user_id FROM orders;
SELECT user_id FROM orders EXCEPT SELECT id FROM users;
SELECT id, payload.name FROM users UNION ALL BY NAME SELECT id, payload.qty FROM orders;
-- ordered
(SELECT n FROM events WHERE n < 3) UNION ALL (SELECT n + 100 FROM events WHERE n < 3) ORDER BY 1 DESC;
SELECT s, sum(c) AS c FROM (SELECT s, flag, count(*) AS c FROM events GROUP BY s, flag) GROUP BY s;
SELECT [x * 2 FOR x IN nums IF x > 10] AS l FROM events WHERE n < 30;
-- scan
SELECT n, list_transform(nums, lambda x: x + 1) AS more, list_filter(tags, lambda t: t <> 't1') AS some FROM events;
SELECT n, list_sum(nums) AS total, list_aggregate(nums, 'max') AS top, array_to_string(tags, '+') AS joined FROM events;
SELECT n, unnest(tags) AS tag FROM events WHERE n < 60;
SELECT n, i.sku, i.qty FROM events, unnest(items) AS t(i) WHERE n >= 800;
SELECT unnest(obj) FROM events WHERE n = 500;
SELECT n, {'a': n, 'b': s} AS pair, [n, v] AS l, MAP {'k': n} AS m FROM events WHERE n < 30;
-- scan
SELECT n, CASE WHEN v IS NULL THEN 'none' WHEN v > 500 THEN 'high' ELSE 'low' END AS class, coalesce(s, '?') AS s2, ifnull(s, '!') AS s3 FROM events;
-- scan
SELECT n, mixed, json_type(mixed) AS t, mixed->>'k' AS k FROM events WHERE n >= 800 AND mixed IS NOT NULL;
SELECT json_type(mixed) AS t, count(*) AS c FROM events GROUP BY t;
-- scan
SELECT n FROM events WHERE s LIKE 's_' AND s NOT LIKE '%3' AND s ILIKE 'S%' AND regexp_matches(s, '^s[0-5]$');
-- scan
SELECT n, n::DECIMAL(10,2) / 3 AS d, n::DOUBLE / 3 AS f, n << 2 AS shifted, n ^ 2 AS power, 7 % 4 AS r FROM events WHERE n < 40;
-- scan
SELECT s || NULL AS nothing, s || '-' || id AS joined, concat(s, NULL, id) AS concatenated FROM events;
-- scan
SELECT n FROM events WHERE (flag OR n > 900) AND NOT (n > 950 AND flag) OR n = 1;
SELECT n FROM events WHERE v IS DISTINCT FROM 1000.5 AND flag IS NOT TRUE;
SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS t(x, y);
VALUES (1, 2.5, DATE '2024-01-01'), (NULL, 3.5, NULL);
SELECT 1 AS one, NULL AS nothing, 9223372036854775807 AS most, 170141183460469231731687303715884105727 AS huge, 1.10 AS d, 'é' AS s;
SELECT sum(i) AS s FROM range(1000) t(i);
SELECT * FROM nothing;
SELECT count(*), max(timestamp) FROM nothing;
SELECT n.id, u.name FROM nothing n RIGHT JOIN users u ON u.id = n.id WHERE u.age < 20;
SELECT * FROM bare;
SELECT a, sum(b) FROM bare GROUP BY a;
SELECT coalesce(sum(b), 0) AS s, count(*) AS c FROM bare WHERE c > '2024-01-01';
-- scan
SELECT * FROM trades;
SELECT sym, sum(price * qty) AS turnover, avg(price) AS a, min(d) AS first, max(t) AS last FROM trades GROUP BY sym;
SELECT * FROM trades WHERE sym = 'S2' AND ts >= '2024-03-02' AND ts < '2024-03-03 06:00:00';
-- scan
SELECT sym, ub, f, bin, l, st.x, st.y, tiny FROM trades WHERE opt IS NULL;
-- scan
SELECT price, round(price, 1) AS r, price::INTEGER AS i, price * 1.5 AS p FROM trades WHERE price > 500.00;
SELECT t.sym, t.ts, t.price, q.bid FROM trades t ASOF JOIN quotes q ON t.sym = q.sym AND t.ts >= q.ts;
SELECT t.sym, count(q.bid) AS c FROM trades t ASOF LEFT JOIN quotes q USING (sym, ts) GROUP BY t.sym;
PIVOT trades ON sym IN ('S0', 'S1', 'S2') USING sum(qty) GROUP BY d;
UNPIVOT (SELECT sym, qty, tiny::INTEGER AS tiny FROM trades WHERE qty < 5) ON qty, tiny INTO NAME k VALUE v;
SELECT * FROM quotes POSITIONAL JOIN (SELECT 1 AS one) WHERE one = 1;
SELECT d, sum(qty) AS q, sum(sum(qty)) OVER (ORDER BY d) AS running FROM trades GROUP BY d;
SELECT sym, first_value(price) OVER (PARTITION BY sym ORDER BY ts) AS f, ntile(4) OVER (ORDER BY ts, sym) AS q FROM trades;
SELECT approx_count_distinct(sym) AS c, bool_or(even) AS e FROM trades;
SELECT * FROM kinds;
SELECT k, e::VARCHAR AS e, hg::VARCHAR AS hg FROM kinds;
-- duckdb: SELECT name FROM users WHERE age = 18
SELECT skein.main.users.name FROM skein.main.users WHERE age = 18;
-- duckdb: SELECT name, age FROM main.users WHERE users.age < 22
SELECT payload.name, payload.age FROM main.users WHERE users.payload.age < 22;
SELECT "n" AS "N n", "s" AS "select" FROM "events" WHERE "n" < 4;
SELECT /* a comment; */ n -- and another
FROM events WHERE s = 's;1' OR n = 3;
SELECT e.n, q.n AS other FROM events e JOIN (SELECT payload.n, payload.s FROM events WHERE payload.flag) q ON q.s = e.s WHERE e.n < 10;
SELECT x.payload.n, y.payload.v FROM events AS x, events AS y WHERE x.payload.n = y.payload.n + 1 AND x.payload.n < 50;
SELECT payload.n AS k FROM events WHERE k < 10;
SELECT n AS payload_n, payload_n + 1 AS next FROM events WHERE payload_n < 4;
SELECT sum(x.n) FROM (SELECT payload.n AS n FROM events WHERE payload.s IN ('s1', 's2')) AS x;
