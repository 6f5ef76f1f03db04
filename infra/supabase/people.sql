-- Tells Amble Connect who was banned or deleted at Supabase Auth: what they have connected, and their API keys, end at once.
-- After membership.sql: paste into Supabase's SQL editor, or run with psql as postgres. Repeatable. It needs nothing else: the
-- secret, the address, the outbox and its job are those of membership.sql.
--
-- Supabase has no hook for this, so it is a trigger on auth.users. It never keeps Supabase from banning or deleting somebody.
-- That a ban is lifted is not told: nothing comes back by itself, and whoever may sign in again connects again.

create or replace function amble_connect.tell_person() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  kind text;
  which bigint;
begin
  if tg_op = 'DELETE' then
    kind := 'PERSON_DELETED';
  elsif new.deleted_at is not null and old.deleted_at is null then
    kind := 'PERSON_DELETED';
  elsif new.banned_until > now() and new.banned_until is distinct from old.banned_until then
    kind := 'PERSON_BANNED';
  else
    return null;
  end if;
  begin
    insert into amble_connect.outbox (told) values (jsonb_build_object('type', kind, 'person', old.id)) returning sequence into which;
  exception when others then
    raise warning 'amble_connect: that a person was banned or deleted is not kept: %', sqlerrm;
    return null;
  end;
  begin
    perform amble_connect.send(which);
  exception when others then
    raise warning 'amble_connect: change % is not sent yet: %', which, sqlerrm;
  end;
  return null;
end $$;
revoke all on function amble_connect.tell_person() from public;

create or replace trigger amble_connect after update of banned_until, deleted_at or delete on auth.users
  for each row execute function amble_connect.tell_person();

-- To tell who was banned or deleted before, and after each resync of memberships:
-- insert into amble_connect.outbox (told) select jsonb_build_object('type', case when deleted_at is null then 'PERSON_BANNED' else 'PERSON_DELETED' end, 'person', id) from auth.users where banned_until > now() or deleted_at is not null;
