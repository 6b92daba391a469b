-- Makes the schema and the app's table where they are missing.
SET NOCOUNT ON;
IF SCHEMA_ID(N'dsr') IS NULL EXEC sys.sp_executesql N'CREATE SCHEMA [dsr]';
IF OBJECT_ID(N'[dsr].[Crashes_$(AppId)]', N'U') IS NULL
CREATE TABLE [dsr].[Crashes_$(AppId)] (
    [Crash-Guid] nvarchar(120) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [HasBeenRetrieved] bit NOT NULL CONSTRAINT [DF_Crashes_$(AppId)] DEFAULT 0,
    CONSTRAINT [PK_Crashes_$(AppId)] PRIMARY KEY CLUSTERED ([Crash-Guid]),
    INDEX [IX_HasBeenRetrieved] ([HasBeenRetrieved], [Crash-Guid])
);
