-- Never run: there was no Azure SQL to run it on.
-- Run once in the ledger's database by its administrator, where that is a person or a group (databaseAdministratorId).
-- sqlcmd -G -S SERVER.database.windows.net -d ledger -v Identity="appcenter-dsr-identity" -i infra/database-user.sql
IF DATABASE_PRINCIPAL_ID(N'$(Identity)') IS NULL
    CREATE USER [$(Identity)] FROM EXTERNAL PROVIDER;
ALTER ROLE db_datareader ADD MEMBER [$(Identity)];
ALTER ROLE db_datawriter ADD MEMBER [$(Identity)];
-- It makes and removes the tables of apps.
ALTER ROLE db_ddladmin ADD MEMBER [$(Identity)];
