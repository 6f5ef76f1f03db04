-- Tells Amble Connect how memberships change: paste into Supabase's SQL editor, or run with psql as postgres. Repeatable.
--
-- Beforehand, under Database, Extensions: pg_net and pg_cron; and, with the template's MembershipSecrets and NextMembership:
--   select vault.create_secret('whsec_' || encode(extensions.gen_random_bytes(32), 'base64'), 'amble_connect_secret');
--   select vault.create_secret('https://connect.example.com/hooks/membership', 'amble_connect_url');
-- At the end, in follow(): your table of members, and its columns of tenant, person and role. It has one row per tenant and person.
--
-- A change is kept in an outbox by the transaction that makes it, and sent when that commits. It is sent again until an answer
-- is 2xx, for a week; and once more after a minute in any case, for what was being approved meanwhile. Changes of one membership
-- are numbered in the order in which its row was locked. What fires no trigger is not told, as TRUNCATE: afterwards, resync (last line).

create extension if not exists pgcrypto with schema extensions;
create schema if not exists amble_connect;
revoke all on schema amble_connect from public;

-- Begins at the time, so that an outbox that is made anew does not number below what the other side has seen.
create sequence if not exists amble_connect.change;
create or replace function amble_connect.catch_up() returns void
language sql security definer set search_path = '' as $$
  select setval('amble_connect.change', now_in_numbers) from amble_connect.change,
    lateral (select (extract(epoch from clock_timestamp()) * 1000000)::bigint now_in_numbers) clock
  where last_value < now_in_numbers - 1000000 -- far behind: a number that is just taken is not undone
$$;
select amble_connect.catch_up();

create table if not exists amble_connect.outbox (
  sequence bigint primary key default nextval('amble_connect.change'),
  told jsonb not null,                                    -- type, record, old_record
  changed timestamptz not null default clock_timestamp(),
  sent timestamptz,                                       -- the last time
  tries int not null default 0,
  request bigint,                                         -- pg_net's number of the last one
  done timestamptz
);
create table if not exists amble_connect.followed (
  source regclass primary key,
  names text[] not null                                   -- its columns: tenant, person, role, and whether a row counts
);
-- Once: the locks would hold up the product's writes at each run.
do $$ begin
  if to_regclass('amble_connect.outbox_open') is null then
    create index outbox_open on amble_connect.outbox (sequence) where done is null;
    alter table amble_connect.outbox enable row level security; -- and no policy: nobody but its owner
  end if;
  if not (select relrowsecurity from pg_class where oid = 'amble_connect.followed'::regclass) then
    alter table amble_connect.followed enable row level security;
  end if;
end $$;

-- Sends one change, signed as Standard Webhooks. pg_net does it after the commit.
create or replace function amble_connect.send(which bigint) returns void
language plpgsql security definer set search_path = '' as $$
declare
  secret text := (select decrypted_secret from vault.decrypted_secrets where name = 'amble_connect_secret');
  url text := (select decrypted_secret from vault.decrypted_secrets where name = 'amble_connect_url');
  at bigint := extract(epoch from clock_timestamp())::bigint;
  id text := 'change_' || which;
  body jsonb := (select told || jsonb_build_object('sequence', sequence) from amble_connect.outbox where sequence = which);
  signature text;
begin
  if secret is null or url is null or body is null then
    raise exception 'amble_connect: the vault has no amble_connect_secret or amble_connect_url, or there is no change %', which;
  end if;
  signature := encode(extensions.hmac(convert_to(id || '.' || at || '.' || body::text, 'UTF8'), decode(substr(secret, 7), 'base64'), 'sha256'), 'base64');
  update amble_connect.outbox set sent = clock_timestamp(), tries = tries + 1, request = net.http_post(
    url := url,
    body := body,
    headers := jsonb_build_object('content-type', 'application/json', 'webhook-id', id, 'webhook-timestamp', at::text, 'webhook-signature', 'v1,' || signature),
    timeout_milliseconds := 10000
  ) where sequence = which;
end $$;

-- What a row is to Amble Connect: nothing while it has no tenant, person or role, as an invitation that nobody has accepted. Nor
-- while its fourth column, if one is named, is not true. A column that was renamed is not nothing: such a change is refused, and waits.
create or replace function amble_connect.row_of(member jsonb, names text[]) returns jsonb
language sql immutable set search_path = '' as $$
  select case when not member ?& array_remove(names, null) then jsonb_build_object('no_such_column', names)
  when member ->> names[1] is not null and member ->> names[2] is not null and member ->> names[3] is not null
    and coalesce(member ->> names[4], case when names[4] is null then 'true' end) = 'true'
  then jsonb_build_object('tenant', member ->> names[1], 'person', lower(member ->> names[2]), 'role', member ->> names[3]) end
$$;

-- Of the table of members: keeps the change, and sends it. If it cannot be sent, the product goes on, and redeliver() tries again.
create or replace function amble_connect.tell() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  names text[] := array[tg_argv[0], tg_argv[1], tg_argv[2], tg_argv[3]];
  record jsonb := amble_connect.row_of(case when tg_op <> 'DELETE' then to_jsonb(new) end, names);
  old_record jsonb := amble_connect.row_of(case when tg_op <> 'INSERT' then to_jsonb(old) end, names);
  which bigint;
begin
  if record is distinct from old_record or record ? 'no_such_column'
    and not exists (select from amble_connect.outbox where done is null and told -> 'record' = record) then
    insert into amble_connect.outbox (told) values (jsonb_build_object(
      'type', case when old_record is null then 'INSERT' when record is null then 'DELETE' else 'UPDATE' end,
      'record', record, 'old_record', old_record)) returning sequence into which;
    begin
      perform amble_connect.send(which);
    exception when others then
      raise warning 'amble_connect: change % is not sent yet: %', which, sqlerrm;
    end;
  end if;
  return null;
end $$;

-- Every minute: what was answered 2xx a minute or more after the change is done. The answer names the delivery: pg_net's own number
-- begins anew after a crash, and would be that of another one. Of the rest, what has waited long enough is sent again, at most an
-- hour apart, 500 a minute, what ends something first. What a week has not delivered stays in the outbox: repair, and resync. The
-- sequence follows the time, so that after a restore it does not number below what the other side has seen for longer than a minute.
create or replace function amble_connect.redeliver() returns void
language plpgsql security definer set search_path = '' as $$
declare
  which bigint;
begin
  if not pg_try_advisory_xact_lock(hashtext('amble_connect.redeliver')) then return; end if;
  perform amble_connect.catch_up();
  update amble_connect.outbox o set done = clock_timestamp() from net._http_response r
    where o.done is null and r.id = o.request and r.status_code between 200 and 299 and o.sent >= o.changed + interval '1 minute'
      and exists (select from jsonb_each_text(r.headers) h where lower(h.key) = 'webhook-id' and h.value = 'change_' || o.sequence);
  for which in
    select sequence from amble_connect.outbox
    where done is null and changed > clock_timestamp() - interval '7 days'
      and coalesce(sent, '-infinity') < clock_timestamp() - least(power(2, least(tries, 7) - 1), 60) * interval '1 minute'
    order by told ->> 'type' = 'INSERT', sequence limit 500 for update skip locked
  loop
    perform amble_connect.send(which);
  end loop;
  delete from amble_connect.outbox where done < clock_timestamp() - interval '7 days';
end $$;

-- Follows a table. A column that it does not have is an error here, before anything is lost.
create or replace function amble_connect.follow(source regclass, tenant text, person text, role text, counts text default null) returns void
language plpgsql set search_path = '' as $$
declare
  columns text[] := array[tenant, person, role, counts];
  missing text := (select string_agg(name, ', ') from unnest(columns) name where name is not null
    and not exists (select from pg_catalog.pg_attribute where attrelid = source and attname = name and attnum > 0 and not attisdropped));
begin
  if missing is not null then
    raise exception 'amble_connect: % has no column %', source, missing;
  end if;
  execute format('create or replace trigger amble_connect after insert or update or delete on %s for each row execute function amble_connect.tell(%s)',
    source, (select string_agg(quote_literal(name), ', ' order by place) from unnest(columns) with ordinality of(name, place) where name is not null));
  insert into amble_connect.followed values (source, columns)
    on conflict on constraint followed_pkey do update set names = excluded.names;
  update amble_connect.outbox set done = clock_timestamp()
    where done is null and (told -> 'record' ? 'no_such_column' or told -> 'old_record' ? 'no_such_column');
end $$;

-- Tells every membership that there is in the tables that have the trigger. They cannot be written meanwhile: who leaves in that moment
-- would be told as a member. Who is none any more is for `amble apply --remove-members` to take out.
create or replace function amble_connect.resync() returns void
language plpgsql set search_path = '' as $$
declare
  followed record;
begin
  for followed in select source, names from amble_connect.followed
    where exists (select from pg_catalog.pg_trigger where tgrelid = source and tgname = 'amble_connect')
  loop
    execute format('lock table %s in share mode', followed.source);
    execute format($sql$insert into amble_connect.outbox (told)
      select jsonb_build_object('type', 'INSERT', 'record', row_of, 'old_record', null)
      from (select amble_connect.row_of(to_jsonb(member.*), $1) row_of from %s member) rows where row_of is not null$sql$, followed.source) using followed.names;
  end loop;
end $$;

revoke all on all functions in schema amble_connect from public;
select cron.schedule('amble-connect', '* * * * *', 'select amble_connect.redeliver()');
-- pg_cron keeps a line of each run for ever.
select cron.schedule('amble-connect-runs', '17 3 * * *', $$delete from cron.job_run_details run using cron.job job where job.jobid = run.jobid
  and job.jobname like 'amble-connect%' and coalesce(run.end_time, run.start_time) < now() - interval '7 days'$$);

-- Yours: the table, and its columns of tenant, person (the id in auth.users) and role. A row counts while none of them is null. Where a
-- row may be suspended, name a fourth column, a boolean that says whether it counts. It may be a generated one that is stored. A row that
-- is deleted and inserted anew has left: change roles by UPDATE. To follow a table no longer, drop its trigger.
select amble_connect.follow('public.memberships', 'tenant_id', 'user_id', 'role');

-- To resync, which sends 500 a minute:
-- select amble_connect.resync();
