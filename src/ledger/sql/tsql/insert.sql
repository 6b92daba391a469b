-- Adds the keys that are not there yet; those that are keep what they have. @P1 nvarchar(max): a JSON array of keys.
SET NOCOUNT ON;
INSERT INTO [dsr].[Crashes_$(AppId)] ([Crash-Guid])
SELECT [given].[Crash-Guid]
FROM (
    SELECT DISTINCT CAST([value] AS nvarchar(120)) COLLATE Latin1_General_100_BIN2 AS [Crash-Guid]
    FROM OPENJSON(@P1)
) AS [given]
WHERE NOT EXISTS (
    SELECT * FROM [dsr].[Crashes_$(AppId)] AS [known]
    WHERE [known].[Crash-Guid] = [given].[Crash-Guid]
);
SELECT CAST(@@ROWCOUNT AS bigint) AS [Changed];
