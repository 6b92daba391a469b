-- The next keys that are not yet retrieved. @P1 nvarchar(120): the key before them, or ''. @P2 bigint: how many.
SET NOCOUNT ON;
SELECT TOP (@P2) [Crash-Guid]
FROM [dsr].[Crashes_$(AppId)]
WHERE [HasBeenRetrieved] = 0 AND [Crash-Guid] > @P1
ORDER BY [Crash-Guid];
