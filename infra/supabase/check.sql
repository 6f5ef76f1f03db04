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
create table cron.job (jobid bigint generated always as identity, jobname text primary key, schedule text, command text);
create table cron.job_run_details (jobid bigint, start_time timestamptz, end_time timestamptz);
create function cron.schedule(name text, schedule text, command text) returns bigint
language sql as 'insert into cron.job (jobname, schedule, command) values (name, schedule, command) on conflict (jobname) do update set command = excluded.command returning jobid';
create table public.memberships (tenant_id text, user_id uuid, role text, note text, unique (tenant_id, user_id));
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

-- What would be sent, for a test to be fed with.
select jsonb_pretty(jsonb_build_object('headers', headers, 'body', body::text)) from net.asked where id = 2 \g (format=unaligned tuples_only=on)

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

-- An invitation counts when it is accepted, and no longer without a role or a person; what is deleted then had ended before.
insert into public.memberships values ('acme', null, 'member'), ('acme', '5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e04', null);
update public.memberships set user_id = '5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02' where user_id is null;
update public.memberships set role = null where role = 'member';
update public.memberships set role = 'owner' where user_id = '5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e04';
update public.memberships set user_id = null where role = 'owner';
delete from public.memberships;
select pg_temp.expect('what has no tenant, person or role is no membership', (select array_agg((told ->> 'type') || ' ' || coalesce(told -> 'record' ->> 'role', told -> 'old_record' ->> 'role') order by sequence)
  = '{INSERT member,DELETE member,INSERT owner,DELETE owner}' from amble_connect.outbox));
create table public.staff (tenant_id text, member uuid, role text, status text, counts boolean generated always as (status = 'active') stored);
do $$ begin perform amble_connect.follow('public.staff', 'tenant_id', 'member', 'role', 'count'); raise 'allowed'; exception when raise_exception then
  perform pg_temp.expect('a column that is not there is an error: ' || sqlerrm, sqlerrm = 'amble_connect: public.staff has no column count'); end $$;
select amble_connect.follow('public.staff', 'tenant_id', 'member', 'role', 'counts');
insert into public.staff values ('acme', '5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e05', 'member', 'invited');
update public.staff set status = 'active';
update public.staff set status = null;
delete from public.staff;
select pg_temp.expect('a column may say whether a row counts', (select array_agg(told ->> 'type' order by sequence) = '{INSERT,DELETE}' from amble_connect.outbox where told::text like '%4e05%'));

-- A resync tells those that count, of every followed table.
delete from amble_connect.outbox;
insert into public.staff values ('acme', '5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e06', 'member', 'invited'), ('acme', '5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e07', 'owner', 'active');
insert into public.memberships values ('globex', null, 'member'), ('globex', '5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e07', 'viewer');
delete from amble_connect.outbox;
select amble_connect.resync();
select pg_temp.expect('suspended people are not told', (select array_agg(told -> 'record' ->> 'role' order by told -> 'record' ->> 'role') = '{owner,viewer}' and bool_and(told ->> 'type' = 'INSERT')
  from amble_connect.outbox));

-- A column that was renamed under the trigger is no silence: the change is kept, to be refused and seen.
delete from amble_connect.outbox;
alter table public.staff rename role to title;
update public.staff set status = status;
update public.staff set title = 'owner';
delete from public.staff where status = 'active';
select pg_temp.expect('a renamed column is told', (select array_agg((told ->> 'type') order by sequence) = '{UPDATE,DELETE}' and bool_and(told -> 'old_record' ? 'no_such_column')
  from amble_connect.outbox));
select amble_connect.follow('public.staff', 'tenant_id', 'member', 'title', 'counts');
select pg_temp.expect('and is done with when the names are right', (select bool_and(done is not null) from amble_connect.outbox));

-- A table that has no trigger any more is not told, nor one that is gone.
update public.staff set status = 'active';
drop trigger amble_connect on public.staff;
create table public.gone (tenant_id text, user_id uuid, role text);
select amble_connect.follow('public.gone', 'tenant_id', 'user_id', 'role');
drop table public.gone;
delete from amble_connect.outbox;
select amble_connect.resync();
select pg_temp.expect('only followed tables are told', (select array_agg(told -> 'record' ->> 'tenant') = '{globex}' from amble_connect.outbox));
delete from public.memberships;

-- Of many that wait, what ends something is sent first.
delete from amble_connect.outbox;
truncate net.asked;
insert into amble_connect.outbox (told) select jsonb_build_object('type', 'INSERT', 'record', n) from generate_series(1, 500) n;
insert into amble_connect.outbox (told) values ('{"type":"DELETE"}');
select amble_connect.redeliver();
select pg_temp.expect('an end does not wait behind a resync', (select count(*) = 500 and count(*) filter (where body ->> 'type' = 'DELETE') = 1 from net.asked));
delete from amble_connect.outbox;
truncate net.asked;

-- A restored sequence catches up, and never goes back.
select setval('amble_connect.change', 1700000000000000);
select amble_connect.redeliver();
select pg_temp.expect('the sequence follows the time', (select last_value > (extract(epoch from clock_timestamp()) - 60) * 1000000 from amble_connect.change));
select setval('amble_connect.change', 9000000000000000);
select amble_connect.redeliver();
select pg_temp.expect('and never goes back', (select last_value = 9000000000000000 from amble_connect.change));

-- Of what pg_cron keeps of its runs, a week stays of ours and all of others.
insert into cron.job_run_details select jobid, now() - age, now() - age from cron.job, unnest('{8 days, 6 days}'::interval[]) age;
insert into cron.job_run_details select jobid, now() - interval '8 days', null from cron.job;
insert into cron.job_run_details values (0, now() - interval '8 days', now() - interval '8 days');
select command from cron.job where jobname = 'amble-connect-runs' \gexec
select pg_temp.expect('old runs are forgotten', (select count(*) = 3 and count(*) filter (where jobid = 0 or end_time > now() - interval '7 days') = 3 from cron.job_run_details));

-- A week is enough.
insert into amble_connect.outbox (told, changed) values ('{}', now() - interval '8 days');
select amble_connect.redeliver();
select pg_temp.expect('nothing is sent after a week', (select count(*) = 0 from net.asked));

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

\echo all is well
