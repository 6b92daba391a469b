-- Marks keys as retrieved. @P1 nvarchar(max): a JSON array of keys.
SET NOCOUNT ON;
UPDATE [dsr].[Crashes_$(AppId)]
SET [HasBeenRetrieved] = 1
WHERE [HasBeenRetrieved] = 0 AND [Crash-Guid] IN (
    SELECT CAST([value] AS nvarchar(120)) COLLATE Latin1_General_100_BIN2
    FROM OPENJSON(@P1)
);
SELECT CAST(@@ROWCOUNT AS bigint) AS [Changed];
