-- Begin a run.
insert into ops.run (source, universe, origin_month, correction, as_of, known_at, mode, symbols_requested, flow_run_id, parameters,
                     config, software, started_at)
values (%(source)s, %(universe)s, %(origin_month)s, %(correction)s, %(as_of)s, %(known_at)s, %(mode)s, %(symbols_requested)s,
        %(flow_run_id)s, %(parameters)s, %(config)s, %(software)s, %(started_at)s)
returning run_id
