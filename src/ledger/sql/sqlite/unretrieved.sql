-- The next keys that are not yet retrieved. ?1: the key before them, or ''. ?2: how many.
SELECT [Crash-Guid]
FROM [dsr.Crashes_$(AppId)]
WHERE [HasBeenRetrieved] = 0 AND [Crash-Guid] > ?1
ORDER BY [Crash-Guid]
LIMIT ?2;
