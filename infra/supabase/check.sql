-- Exercises membership.sql and people.sql on a plain PostgreSQL, with fakes of what Supabase adds: pg_net (which here keeps what
-- it would send), the vault, pg_cron and the people of Supabase Auth. On an empty database, as its superuser:
--
--   createdb feed && psql --no-psqlrc -v ON_ERROR_STOP=1 -d feed -f infra/supabase/check.sql

\set QUIET on
create schema extensions;
create schema net;
create schema vault;
create schema cron;
create table net.asked (id bigint generated always as identity, url text, body jsonb, headers jsonb, timeout int);
create table net._http_response (id bigint, status_code int, headers jsonb);
create function net.http_post(url text, body jsonb default '{}', params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds int default 5000) returns bigint
language sql as 'insert into net.asked (url, body, headers, timeout) values (url, body, headers, timeout_milliseconds) returning id';
create table vault.decrypted_secrets (name text, decrypted_secret text);
create table cron.job (name text primary key, schedule text, command text);
create function cron.schedule(name text, schedule text, command text) returns bigint
language sql as 'insert into cron.job values (name, schedule, command) on conflict (name) do update set command = excluded.command returning 1::bigint';
create table public.memberships (tenant_id text, user_id uuid, role text, note text, primary key (tenant_id, user_id));
create schema auth;
create table auth.users (id uuid primary key, email text, banned_until timestamptz, deleted_at timestamptz, last_sign_in_at timestamptz);
create role app login;
grant all on public.memberships to app;

\ir membership.sql
\ir membership.sql
\ir people.sql
\ir people.sql

create function pg_temp.expect(what text, is_so boolean) returns void language plpgsql as $$
begin
  if is_so is not true then raise exception 'not so: %', what; end if;
end $$;

-- Without a secret the product goes on, and the change waits.
set client_min_messages = error;
insert into public.memberships values ('acme', '5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02', 'member');
reset client_min_messages;
select pg_temp.expect('a change waits', (select count(*) = 1 and bool_and(sent is null) from amble_connect.outbox));
insert into vault.decrypted_secrets values
  ('amble_connect_secret', 'whsec_bG9jYWwtbWVtYmVyc2hpcC13ZWJob29rLXNlY3JldCE='), ('amble_connect_url', 'https://connect.example.com/hooks/membership');
select amble_connect.redeliver();
select pg_temp.expect('it is sent', (select count(*) = 1 from net.asked));

-- A role of the product's own may change memberships, and nothing else of this.
set role app;
update public.memberships set note = 'nothing of ours';
update public.memberships set role = 'viewer';
delete from public.memberships;
begin;
insert into public.memberships values ('acme', '5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e03', 'member');
rollback;
do $$ begin perform amble_connect.redeliver(); raise exception 'allowed'; exception when insufficient_privilege then end $$;
do $$ begin perform count(*) from amble_connect.outbox; raise exception 'allowed'; exception when insufficient_privilege then end $$;
reset role;
select pg_temp.expect('three changes, in order', (select array_agg(told ->> 'type' order by sequence) = '{INSERT,UPDATE,DELETE}' from amble_connect.outbox));
select pg_temp.expect('three requests, with the numbers of the changes',
  (select array_agg(a.id order by o.sequence) = '{1,2,3}' and bool_and((a.body ->> 'sequence')::bigint = o.sequence and a.headers ->> 'webhook-id' = 'change_' || o.sequence)
   from amble_connect.outbox o join net.asked a on a.id = o.request));
select pg_temp.expect('rows as they are told', (select told = '{"type":"UPDATE","record":{"tenant":"acme","person":"5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02","role":"viewer"},"old_record":{"tenant":"acme","person":"5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02","role":"member"}}'::jsonb
  from amble_connect.outbox where told ->> 'type' = 'UPDATE'));
select pg_temp.expect('numbers begin at the time', (select min(sequence) > 1700000000000000 from amble_connect.outbox));

-- Nothing is sent again at once; what was answered at once is sent once more after a minute, and is done when that is answered.
create function pg_temp.answers(from_id bigint) returns void language sql as
'insert into net._http_response select id, case when body ->> ''type'' = ''UPDATE'' and id < 7 then 503 else 204 end, jsonb_build_object(''Webhook-Id'', headers ->> ''webhook-id'') from net.asked where id >= from_id';
insert into net._http_response select id, 204, headers from net.asked;
select amble_connect.redeliver();
select pg_temp.expect('nothing is repeated within a minute', (select count(*) = 3 from net.asked));
update amble_connect.outbox set changed = changed - interval '2 minutes', sent = sent - interval '2 minutes';
select amble_connect.redeliver();
select pg_temp.expect('everything is sent once more', (select count(*) = 6 and count(distinct headers ->> 'webhook-id') = 3 from net.asked));
-- After a crash pg_net counts from the beginning: an answer under the same number is that of another delivery.
insert into net._http_response select id, 204, '{"webhook-id": "change_1"}' from net.asked where id > 3;
select amble_connect.redeliver();
select pg_temp.expect('the answer to another delivery counts for none', (select count(done) = 0 from amble_connect.outbox));
delete from net._http_response where id > 3;
select pg_temp.answers(4);
select amble_connect.redeliver();
select pg_temp.expect('what was answered is done', (select count(done) = 2 from amble_connect.outbox));
update amble_connect.outbox set sent = sent - interval '5 minutes' where done is null;
select amble_connect.redeliver();
select pg_temp.expect('what was refused is sent again', (select count(*) = 7 from net.asked));
select pg_temp.answers(7);
select amble_connect.redeliver();
select pg_temp.expect('and then done', (select count(done) = 3 from amble_connect.outbox));
update amble_connect.outbox set done = done - interval '8 days';
select amble_connect.redeliver();
select pg_temp.expect('and forgotten', (select count(*) = 0 from amble_connect.outbox));
select pg_temp.expect('every minute', (select count(*) = 1 from cron.job where schedule = '* * * * *'));

-- A week is enough.
insert into amble_connect.outbox (told, changed) values ('{}', now() - interval '8 days');
select amble_connect.redeliver();
select pg_temp.expect('nothing is sent after a week', (select count(*) = 7 from net.asked));

-- People: a ban, a longer one and a deletion are told, of either kind; nothing else is, and a lifted ban is not.
create role auth_admin login;
grant usage on schema auth to auth_admin;
grant all on auth.users to auth_admin;
set role auth_admin;
insert into auth.users values ('5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02', 'ben@example.com'), ('5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e03', 'eve@example.com');
update auth.users set last_sign_in_at = now(), banned_until = null;
update auth.users set banned_until = now() + interval '1 hour' where email = 'ben@example.com';
update auth.users set email = 'ben@example.org', banned_until = banned_until where email = 'ben@example.com';
update auth.users set banned_until = now() + interval '2 hours' where email = 'ben@example.org';
update auth.users set banned_until = null where email = 'ben@example.org';
update auth.users set banned_until = now() - interval '1 hour' where email = 'ben@example.org';
update auth.users set deleted_at = now() where email = 'eve@example.com';
delete from auth.users where email = 'ben@example.org';
reset role;
select pg_temp.expect('each is told, and sent at once', (select array_agg((told ->> 'type') || ' ' || right(told ->> 'person', 2) order by sequence) = '{PERSON_BANNED 02,PERSON_BANNED 02,PERSON_DELETED 03,PERSON_DELETED 02}' and bool_and(sent is not null)
  from amble_connect.outbox where told ? 'person'));
-- Without an outbox people are banned and deleted all the same.
set client_min_messages = error;
alter table amble_connect.outbox rename to gone;
insert into auth.users values ('5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e04', 'sam@example.com');
update auth.users set banned_until = now() + interval '1 hour' where email = 'sam@example.com';
delete from auth.users where email = 'sam@example.com';
alter table amble_connect.gone rename to outbox;
reset client_min_messages;
select pg_temp.expect('nobody is left but Eve', (select array_agg(email) = '{eve@example.com}' from auth.users));

-- What would be sent, for a test to be fed with.
select jsonb_pretty(jsonb_build_object('headers', headers, 'body', body::text)) from net.asked where id = 2 \g (format=unaligned tuples_only=on)
\echo all is well
