-- Override the settings of the role and of the database: results and locks must not depend on them.
select
    set_config('search_path', '"$user", public', false),
    set_config('timezone', 'UTC', false),
    set_config('datestyle', 'ISO, MDY', false),
    -- 1: floating-point numbers keep all digits
    set_config('extra_float_digits', '1', false),
    -- 0: no limit. A connection that holds the month's lock is idle for minutes.
    set_config('idle_session_timeout', '0', false),
    set_config('idle_in_transaction_session_timeout', '0', false),
    set_config('statement_timeout', '0', false),
    set_config('lock_timeout', '0', false)
