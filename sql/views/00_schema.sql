create schema if not exists report;
