-- The next keys, retrieved or not. @P1 nvarchar(120): the key before them, or ''. @P2 bigint: how many.
SET NOCOUNT ON;
SELECT TOP (@P2) [Crash-Guid], CAST([HasBeenRetrieved] AS bigint) AS [HasBeenRetrieved]
FROM [dsr].[Crashes_$(AppId)]
WHERE [Crash-Guid] > @P1
ORDER BY [Crash-Guid];
