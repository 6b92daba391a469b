-- Makes the app's table where it is missing.
CREATE TABLE IF NOT EXISTS [dsr.Crashes_$(AppId)] (
    [Crash-Guid] TEXT NOT NULL PRIMARY KEY COLLATE BINARY CHECK (length([Crash-Guid]) <= 120),
    [HasBeenRetrieved] INTEGER NOT NULL DEFAULT 0 CHECK ([HasBeenRetrieved] IN (0, 1))
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS [dsr.IX_Crashes_$(AppId)] ON [dsr.Crashes_$(AppId)] ([HasBeenRetrieved], [Crash-Guid]);
