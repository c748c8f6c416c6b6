-- Override the settings of the role and of the database until the end of the transaction: results and locks must not
-- depend on them. Not for the session, because behind a pooler the next transaction may use another session.
select
    set_config('search_path', '"$user", public', true),
    set_config('timezone', 'UTC', true),
    set_config('datestyle', 'ISO, MDY', true),
    set_config('intervalstyle', 'postgres', true),
    set_config('bytea_output', 'hex', true),
    -- 1: floating-point numbers keep all digits
    set_config('extra_float_digits', '1', true),
    -- 0: no limit. The transaction that holds a month's lock lasts as long as the run.
    set_config('idle_in_transaction_session_timeout', '0', true),
    set_config('statement_timeout', '0', true),
    set_config('lock_timeout', '0', true),
    case when current_setting('transaction_timeout', true) is not null -- since Postgres 17
         then set_config('transaction_timeout', '0', true) end,
    -- seconds after which the server notices that the machine of a lock's holder is gone
    set_config('tcp_keepalives_idle', '30', true),
    set_config('tcp_keepalives_interval', '10', true),
    set_config('tcp_keepalives_count', '3', true)
